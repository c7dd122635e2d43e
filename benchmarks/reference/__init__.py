"""Rows to read the others against: plain tools of scikit-learn on a table, and the authors' own implicit VI."""
