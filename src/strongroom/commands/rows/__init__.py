"""`strongroom rows`: rows of the database that another program changed."""
