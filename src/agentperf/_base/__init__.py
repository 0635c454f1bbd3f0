"""The ground floor: small tools that know nothing of policies."""
