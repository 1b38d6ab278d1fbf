"""The web console: the admin API's use cases for people, as pages of a browser."""
