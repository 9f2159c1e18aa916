package catalog

// Graves is how many removed names are kept.
func (c *Catalog) Graves() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.state.graves)
}
