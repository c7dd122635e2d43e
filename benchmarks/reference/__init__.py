"""What plain tools of scikit-learn give on a table: rows to read the others against. They use no network."""
