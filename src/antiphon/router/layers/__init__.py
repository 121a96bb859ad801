"""Layers that come with the router, to be given to it or to a route, the first outermost.

    Memory          callers say what is new, and the conversation is kept here
    SemanticCache   questions that mean the same are answered without asking the model
    Accounting      tokens and money of users and sessions, and budgets

Together they go in this order: the cache looks at the whole conversation, and what it answers costs nothing.
"""

from .accounting import Accounting as Accounting
from .accounting import Budget as Budget
from .accounting import Price as Price
from .accounting import Spent as Spent
from .accounting import Totals as Totals
from .cache import SemanticCache as SemanticCache
from .memory import Memory as Memory

__all__ = ("Accounting", "Budget", "Memory", "Price", "SemanticCache", "Spent", "Totals")
