package paper

// Client is the client of §2.1, which the paper gives no figure: it sends a command to
// every replica, and the next one when an answer came.
type Client struct {
	Number   int
	Replicas Set[ID]
	Ops      []Op // what it wants done, in this order

	Cid     int           // of the command that was sent last
	Answers Set[Response] // all that came
}

// Start sends the first command.
func (c *Client) Start(env *Env) { c.next(env) }

// Receive takes an answer.
func (c *Client) Receive(env *Env, m Message) {
	answer := m.(Response)
	c.Answers = c.Answers.With(answer)
	if answer.Cid == c.Cid {
		c.next(env)
	}
}

func (c *Client) next(env *Env) {
	if c.Cid < len(c.Ops) {
		c.Cid++
		env.SendAll(c.Replicas, Request{Command{c.Number, c.Cid, c.Ops[c.Cid-1]}})
	}
}

// Self is the paper's κ.
func (c *Client) Self() ID { return clientID(c.Number) }

// Copy copies the variables.
func (c *Client) Copy() Process { d := *c; return &d }
