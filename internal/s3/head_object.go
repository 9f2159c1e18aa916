package s3

// HeadObject answers what GetObject would, without the bytes. Errors have no
// document: HTTP leaves no room for one.
//
// Status: done

func (x *exchange) headObject() error {
	i, err := x.d.o.Store.Head(x.r.Context(), x.ref())
	if err != nil {
		return err
	}
	v := view{}
	if _, err := v.pick(x, i); err != nil {
		return err
	}
	x.answerHead(i, &v)
	return nil
}
