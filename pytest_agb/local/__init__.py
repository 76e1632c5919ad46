"""An AGB server for this machine: the service's API, served from sandboxes of our own.

::

    server    the process: socket, signals, life and death
    app       the HTTP face: routes, key, envelopes
    sessions  which sessions live, how long, with which labels
    sandbox   the server's end of one sandbox, and of the fork server
    ----------------------------------------------- a process boundary
    forkserver  keeps the sandboxes that live
    launcher    takes a process into a sandbox: namespaces or Landlock, limits
    agent       one per session: files, shells
    code        ... and interpreters

What stands below the line imports the standard library only: it is loaded into a fresh interpreter
with an empty environment, before any sandbox exists. Imports nothing else of
``pytest_agb`` but `removal` and `namespace_signs`.
"""
