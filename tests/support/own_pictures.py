"""Somebody's own pictures as two TOML texts: a folder of 80 and 40 of two classes, and a task on them."""

SPEC = """
title = "Two kinds of noise"
licence = "none"
citation = "none"
shape = [1, 8, 8]
num_classes = 2
mean = [0.5]
std = [0.25]
splits = { train = { examples = 80 }, test = { examples = 40 } }
[[sources]]
kind = "local"
format = "imagefolder"
path = "pictures"
"""
TASK = """
name = "mine"
version = 1
description = "pictures of one's own"
[data]
name = "data.toml"
train = 60
validation = 20
[model]
name = "mlp"
arguments = { img_size = 8, width = 8, depth = 1 }
[recipe]
epochs = 10
batch_size = 20
optimizer = "sgd"
lr = 0.1
"""
