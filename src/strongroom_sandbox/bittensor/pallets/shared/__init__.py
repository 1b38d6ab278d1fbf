"""What several pallets keep: neurons, stakes, balances of coldkeys, epochs, and what calls weigh."""
