"""What is on the screen when it changes, without a browser that asks again and again."""
