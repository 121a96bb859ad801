"""A pytest plugin that puts `antiphon` in the place of `openai`, so that the official client's own suite tests ours.

    finder.py       `openai.…` is imported from `antiphon.…`; a table says what comes from where
    client.py       the two clients, with what the suite takes for granted
    private.py      the official package's private helpers that the suite calls, said with ours
    matching.py     `assert_matches_type` for views: it checks every field of every object
    azure.py, clouds.py, resources.py, sockets.py, looks.py   what the suite looks at in those parts, said with ours
    exceptions.py   the cases that cannot pass, each with its reason

Nothing of the official package is loaded: the run fails if it is.
"""
