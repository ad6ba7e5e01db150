//! What is inside a list or a map that is read.

use minicbor::data::Type;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::read::Reader;
use super::{Fault, ITEMS_MAX};

/// Elements, or members, one after another.
pub(super) struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// How many there still are; `None` when the end is marked instead.
    left: Option<u64>,
    /// How many were kept.
    kept: usize,
}

impl<'a, 'de> Items<'a, 'de> {
    pub(super) fn new(reader: &'a mut Reader<'de>, count: Option<u64>) -> Self {
        Self { reader, left: count, kept: 0 }
    }

    /// Whether there is another one.
    fn next(&mut self) -> Result<bool, Fault> {
        match &mut self.left {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None if self.reader.input.datatype()? == Type::Break => {
                self.reader.input.set_position(self.reader.input.position() + 1);
                self.left = Some(0);
                return Ok(false);
            }
            None => {}
        }
        Ok(true)
    }

    /// Whether there is another one, which will be kept in memory.
    fn next_kept(&mut self) -> Result<bool, Fault> {
        let is_there = self.next()?;
        self.kept += usize::from(is_there);
        if self.kept > ITEMS_MAX { Err(Fault::TooManyItems { max: ITEMS_MAX }) } else { Ok(is_there) }
    }

    /// Runs through those that are left, and keeps none.
    pub(super) fn each(&mut self, pass: impl Fn(&mut Reader<'de>) -> Result<(), Fault>) -> Result<(), Fault> {
        while self.next()? {
            pass(self.reader)?;
        }
        Ok(())
    }

    /// Sees to it that all were read.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        if self.next()? {
            return Err(Fault::Shape(format!("more than {} elements", self.kept)));
        }
        Ok(())
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.next_kept()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    /// Never more than the input could hold.
    fn size_hint(&self) -> Option<usize> {
        let left = usize::try_from(self.left?).unwrap_or(usize::MAX);
        Some(left.min(self.reader.bytes_left()).min(ITEMS_MAX))
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        if self.next_kept()? { seed.deserialize(&mut *self.reader).map(Some) } else { Ok(None) }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        seed.deserialize(&mut *self.reader)
    }
}
