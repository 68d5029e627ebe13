//! Visits all nodes of a parse tree.
//!
//! The tree has some 270 struct types that contain each other. A traversal that is written by hand forgets some of
//! them; other guards have had published holes for that reason. All types derive `Serialize` of serde, so this
//! traversal is a serializer that writes nothing and cannot forget a node. It knows the name of each field, and it
//! visits the new nodes of a later PostgreSQL like all others.

use std::fmt;

use serde::Serialize;
use serde::ser::{
    Impossible, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};

/// Receives the nodes of a tree.
pub(super) trait Visitor {
    /// A node begins.
    fn enter(&mut self, node: &'static str);

    /// The value of this field of the current node follows.
    fn field(&mut self, name: &'static str);

    /// A text value of the current field.
    fn text(&mut self, value: &str);

    /// A number or boolean value of the current field.
    fn number(&mut self, value: i64);

    /// The current node ends.
    fn leave(&mut self);
}

/// The struct that wraps each node and is no node itself.
const WRAPPER: &str = "Node";

/// Visits all nodes of a tree.
pub(super) fn walk(tree: &impl Serialize, visitor: &mut impl Visitor) {
    // It can fail only for maps, and a tree has none.
    let _ = tree.serialize(Walker(visitor));
}

struct Walker<'a, V>(&'a mut V);

/// The fields or items of a value that is being visited.
struct Inside<'a, V> {
    visitor: &'a mut V,
    is_node: bool,
}

impl<V: Visitor> Inside<'_, V> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(Walker(self.visitor))
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), fmt::Error> {
        if self.is_node {
            self.visitor.field(name);
        }
        self.item(value)
    }

    fn finish(self) -> Result<(), fmt::Error> {
        if self.is_node {
            self.visitor.leave();
        }
        Ok(())
    }
}

macro_rules! numbers {
    ($($method:ident $of:ty),*) => {
        $(fn $method(self, value: $of) -> Result<(), fmt::Error> {
            self.0.number(value as i64);
            Ok(())
        })*
    };
}

impl<'a, V: Visitor> Serializer for Walker<'a, V> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Inside<'a, V>;
    type SerializeTuple = Inside<'a, V>;
    type SerializeTupleStruct = Inside<'a, V>;
    type SerializeTupleVariant = Inside<'a, V>;
    type SerializeMap = Impossible<(), fmt::Error>;
    type SerializeStruct = Inside<'a, V>;
    type SerializeStructVariant = Inside<'a, V>;

    numbers!(serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
             serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_f32 f32,
             serialize_f64 f64);

    fn serialize_char(self, value: char) -> Result<(), fmt::Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), fmt::Error> {
        self.0.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), fmt::Error> {
        self.serialize_str(&String::from_utf8_lossy(value))
    }

    fn serialize_none(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Inside<'a, V>, fmt::Error> {
        Ok(Inside { visitor: self.0, is_node: false })
    }

    fn serialize_tuple(self, _: usize) -> Result<Inside<'a, V>, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Inside<'a, V>, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Inside<'a, V>, fmt::Error> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Inside<'a, V>, fmt::Error> {
        let is_node = name != WRAPPER;
        if is_node {
            self.0.enter(name);
        }
        Ok(Inside { visitor: self.0, is_node })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        fields: usize,
    ) -> Result<Inside<'a, V>, fmt::Error> {
        self.serialize_struct(variant, fields)
    }
}

macro_rules! items {
    ($($kind:ident $method:ident),*) => {
        $(impl<V: Visitor> $kind for Inside<'_, V> {
            type Ok = ();
            type Error = fmt::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), fmt::Error> {
                self.finish()
            }
        })*
    };
}

items!(SerializeSeq serialize_element, SerializeTuple serialize_element, SerializeTupleStruct serialize_field,
       SerializeTupleVariant serialize_field);

macro_rules! fields {
    ($($kind:ident),*) => {
        $(impl<V: Visitor> $kind for Inside<'_, V> {
            type Ok = ();
            type Error = fmt::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), fmt::Error> {
                self.named(name, value)
            }

            fn end(self) -> Result<(), fmt::Error> {
                self.finish()
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);
