"""Runs of evals: what they are about (`rows`), what models say to it (`samples`), and the rules for both (`checks`)."""
