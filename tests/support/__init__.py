"""What tests stand on: servers, suites to run, users and hosts to run them as."""
