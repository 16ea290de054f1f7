"""What Taskledger is compared with: what one would write instead, with its usual tools and without handicap."""
