"""The sessions of one run on one host: leasing them, and deleting every one.

Nothing is imported here: who only joins a run imports `members`, and does not wait for httpx.
"""
