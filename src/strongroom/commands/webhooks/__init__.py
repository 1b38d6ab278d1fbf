"""Commands that concern webhooks."""
