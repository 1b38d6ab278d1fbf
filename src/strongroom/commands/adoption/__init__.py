"""`strongroom adopt`: takes over the database of an original, and gives it back."""
