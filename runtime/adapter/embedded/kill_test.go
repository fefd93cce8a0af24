package embedded

func beKilled() bool { return false }
