"""Where each library sends its requests.

A module here has `patches(module, interception)`: the attributes to be replaced for as long as the interception lasts,
as (owner, name, replacement).
"""
