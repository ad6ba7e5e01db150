//! A component of another world: a command, not a function.

fn main() {
    println!("nobody calls this");
}
