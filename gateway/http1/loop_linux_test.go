package http1

func loopConns(l *loop) []*conn { return l.all }
