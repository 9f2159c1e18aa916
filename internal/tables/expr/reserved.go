package expr

func reserved(string) bool { return false }
