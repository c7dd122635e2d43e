"""What one run is: fitted, predicted, looked at, its cost read; and what a method costs beside MAP."""
