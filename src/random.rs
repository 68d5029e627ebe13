//! Random words that cannot be guessed.

/// 128 random bits as hexadecimal digits; `None` if the system has no random numbers.
pub fn word() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}
