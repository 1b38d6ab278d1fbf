"""What is done with tokens besides presenting them: who may hand on what, when they were used, when they end."""
