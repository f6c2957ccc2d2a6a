"""The vocabulary that every other room speaks: skills, scene state, action, features, errors. numpy only."""
