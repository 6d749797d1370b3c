package paper

// A Process is one of the paper's: variables, and what it does on a message.
type Process interface {
	Self() ID
	Start(*Env)            // what the figure does before "for ever"
	Receive(*Env, Message) // one turn of "for ever"
	Copy() Process         // the variables alone: sets are never changed in place
}

// Env is what a process does to the world in one turn. The turn is atomic: the world
// sees all of it at once, as in the paper.
type Env struct {
	sent    []Letter
	spawned []Process
	exited  bool

	choices []int // which element to take at each choice, the first if there are more choices than that
	arity   []int // how many elements there were at each choice
}

// A Letter is a message on its way.
type Letter struct {
	To      ID
	Message Message
}

// Send sends m to one process.
func (e *Env) Send(to ID, m Message) { e.sent = append(e.sent, Letter{to, m}) }

// SendAll sends m to every process of a set.
func (e *Env) SendAll(to Set[ID], m Message) {
	for _, id := range to.List() {
		e.Send(id, m)
	}
}

// Spawn starts a process.
func (e *Env) Spawn(p Process) { e.spawned = append(e.spawned, p) }

// Exit ends the process.
func (e *Env) Exit() { e.exited = true }

// Choose is the paper's "∃ x ∈ s". The explorer takes the turn once for every x.
func Choose[T comparable](e *Env, s Set[T]) T {
	at := len(e.arity)
	if at == len(e.choices) {
		e.choices = append(e.choices, 0)
	}
	e.arity = append(e.arity, len(s))
	return s.List()[e.choices[at]]
}

// nextChoices returns the choices to take after these, nil when all were taken.
func (e *Env) nextChoices() []int {
	for i := len(e.choices) - 1; i >= 0; i-- {
		if e.choices[i]+1 < e.arity[i] {
			next := append([]int(nil), e.choices[:i+1]...)
			next[i]++
			return next
		}
	}
	return nil
}
