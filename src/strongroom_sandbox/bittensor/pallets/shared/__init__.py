"""The state that several pallets share: neurons, stakes, balances of coldkeys, epochs, and the weights of calls."""
