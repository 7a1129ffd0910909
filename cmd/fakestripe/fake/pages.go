package fake

func (s *Server) pages() {}
