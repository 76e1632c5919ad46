"""An AGB server for this machine: the service's API, served from sandboxes of our own.

::

    server      the door: what the rest of the package uses, loaded on first use
    process     the server's process: socket, signals, life and death
    api/        the HTTP face: paths, key, errors, the page of a session
    contexts/   files that outlive sessions, and how both keep in step
    sessions/   which sessions live, how long; the server's end of their sandboxes and of the fork server
    background  tasks of the server that nobody waits for
    ------------------------------------------------------------------------------ a process boundary
    launch/     the fork server keeps the sandboxes that live, the launcher takes a process into one
    agent/      one per session: files, shells, and in code/ the interpreters
    isolation/  what makes the agent's view private: namespaces, Landlock; which of them this machine allows
    limits/     what a sandbox may use, and what sees to it
    boot, framing, syscalls   how both sides start, talk, and call the kernel

Imports point down only. What stands below the line imports the standard library only: it is loaded into a
fresh interpreter with an empty environment, before any sandbox exists. All of it imports nothing else of
``pytest_agb`` but `removal` and `namespace_signs`.
"""
