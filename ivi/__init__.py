"""Implicit-bias variational inference: any torch model as a variational network, trained on the expected loss alone."""
