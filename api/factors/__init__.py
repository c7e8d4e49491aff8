"""Second factors: authenticator apps, recovery codes, passkeys; what they are asked for."""
