"""What the tool runners are made of.

    shapes.py     checks of JSON values, put together from small ones
    items.py      the items of a response that can be replayed, as such checks; outputs of functions
    history.py    a history as calls and their outputs: what belongs together, what was approved
    request.py    what of a caller's parameters becomes the runner's request, and which tools it selects
    budget.py     histories that have grown too large for a request
    ledger.py     checkpoints: what is written down of a run, and where one goes on
    run.py        one run: which calls came, which were attempted, which were answered
    steps.py      steps that ask a function of either colour, and jobs beside the flow
    loop.py       the rounds of a run, as one flow

A round is a request and what comes of it. Everything here works on the JSON of an item rather than on views: it is
what is replayed, saved and compared.
"""
