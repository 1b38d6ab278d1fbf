"""Commands that tell about the program itself."""
