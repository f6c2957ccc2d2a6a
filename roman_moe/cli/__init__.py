"""The command line: `roman-moe VERB`, one small module a verb, imported only when its verb is asked for."""
