"""A method on its way to the board: a bundle made of its results, its branch and pull request, its review here."""
