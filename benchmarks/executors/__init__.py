"""Where jobs run: each module makes a `concurrent.futures.Executor`."""
