"""The console's pages: each is one small controller beside one template."""
