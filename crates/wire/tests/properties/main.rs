//! What holds for every conversation, every answer, every division and every order that the protocols allow.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod cuts;
#[cfg(test)]
mod divisions;
#[cfg(test)]
mod lens;
#[cfg(test)]
mod logprobs;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod render;
#[cfg(test)]
mod replays;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod said;
#[cfg(test)]
mod searches;
