"""What `ivi check` looks at a method on. No torch."""

TASKS = ("digits-mlp", "digits-cnn", "diabetes-mlp")
"""A dense network, a convolutional one, and a number in place of classes."""
