"""Answers whether more than an amount can leave a wallet within a stretch of time, whoever asks for it and however.

`courses` lists the ways in which value may leave that the rules tell apart; `solver` looks whether they can add up to more;
`replay` tries what it finds with the real guard; `question` puts them together.

"No" must be true of the guard as it is: where something cannot be modelled exactly, the model lets more pass. "Yes" is said only of
what the guard let pass. Everything else is "unknown".
"""
