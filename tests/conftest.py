"""For every test: how long an example of hypothesis takes says nothing on a machine that is shared."""

from hypothesis import settings

settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
