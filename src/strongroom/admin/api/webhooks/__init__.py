"""Routes that concern webhooks."""
