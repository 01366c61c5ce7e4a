"""A thin Kubernetes client: requests are prepared as data, sent in one place, and answers are parsed by pure functions.

The one rule: nothing of the HTTP library is visible outside. What goes wrong arrives as a type of `errors`.
"""
