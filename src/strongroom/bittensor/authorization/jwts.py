"""How the original's JWTs are signed: settings and authentication agree on it here."""

JWT_ALGORITHM = "HS256"
