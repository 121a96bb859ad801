"""The API as the clouds serve it: `OpenAI(provider=bedrock(...))`, `OpenAI(provider=vertex(...))`.

    provider.py   what a provider is, and where it leads a client
    bedrock.py    Amazon: a bearer token, or requests that are signed (aws.py)
    vertex.py     Google: a token, or the credentials of the machine

They are made with `antiphon.providers.bedrock` and `antiphon.providers.vertex`.
"""
