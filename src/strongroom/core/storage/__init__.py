"""Storage: the database under the units of work, and what its errors mean."""
