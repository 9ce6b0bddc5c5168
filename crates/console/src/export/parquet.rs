//! Rows as Parquet: typed columns that DuckDB, pandas and Spark read as they are.
//!
//! Texts are UTF-8, counts INT64, moments TIMESTAMP in µs (UTC) and money DECIMAL(38,18), so that it is exact there too.
//! A row group is written once enough rows are there, so no more than one is held at a time; readers need the end of the
//! file, where all of them are listed.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::Value;
use tachograph_record::Money;

use super::{Column, ColumnKind};

/// Rows of one group, and bytes of their texts.
const GROUP_ROWS: usize = 10_000;
const GROUP_BYTES: usize = 16 << 20;
/// Digits of money, and those behind the point.
const PRECISION: i32 = 38;
const SCALE: i32 = 18;

/// A file that is being written.
pub(super) struct ParquetFile {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<(&'static Column, Cells)>,
    rows: usize,
    bytes: usize,
}

/// The cells of one column in a group: what is there, and where something is.
enum Cells {
    Texts(Vec<ByteArray>, Vec<i16>),
    Numbers(Vec<i64>, Vec<i16>),
    Money(Vec<FixedLenByteArray>, Vec<i16>),
}

impl ParquetFile {
    pub(super) fn new(columns: impl Iterator<Item = &'static Column>) -> Result<Self, ParquetError> {
        let columns: Vec<_> = columns.map(|column| (column, Cells::of(column.kind))).collect();
        let fields = columns.iter().map(|(column, _)| field(column).map(Arc::new)).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("call").with_fields(fields).build()?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, columns, rows: 0, bytes: 0 })
    }

    /// Adds a row, as the API shows it.
    pub(super) fn push(&mut self, row: &Value) -> Result<(), ParquetError> {
        for (column, cells) in &mut self.columns {
            self.bytes += cells.push(row.pointer(column.place));
        }
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// What is written by now and was not taken yet.
    pub(super) fn written(&mut self) -> Bytes {
        std::mem::take(self.writer.inner_mut()).into()
    }

    /// Writes what is left, and the end of the file.
    pub(super) fn finish(&mut self) -> Result<Bytes, ParquetError> {
        self.flush()?;
        self.writer.finish()?;
        Ok(self.written())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (_, cells) in &mut self.columns {
            cells.write(&mut group)?;
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        ColumnKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        ColumnKind::Count => (Physical::INT64, None),
        ColumnKind::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        ColumnKind::Money => (Physical::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(SCALE, PRECISION))),
    };
    let field = Type::primitive_type_builder(column.name, physical);
    let field = field.with_repetition(Repetition::OPTIONAL).with_logical_type(logical);
    let field = match column.kind {
        ColumnKind::Money => field.with_length(16).with_precision(PRECISION).with_scale(SCALE),
        _ => field,
    };
    field.build()
}

impl Cells {
    fn of(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Text | ColumnKind::Json => Self::Texts(Vec::new(), Vec::new()),
            ColumnKind::Count | ColumnKind::Moment => Self::Numbers(Vec::new(), Vec::new()),
            ColumnKind::Money => Self::Money(Vec::new(), Vec::new()),
        }
    }

    /// Adds a cell; returns its bytes.
    fn push(&mut self, value: Option<&Value>) -> usize {
        let value = value.filter(|value| !value.is_null());
        match self {
            Self::Texts(held, there) => {
                let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                there.push(text.is_some().into());
                let bytes = text.as_ref().map_or(0, String::len);
                held.extend(text.map(|text| ByteArray::from(text.into_bytes())));
                bytes
            }
            Self::Numbers(held, there) => {
                let number = value.and_then(Value::as_i64);
                there.push(number.is_some().into());
                held.extend(number);
                8
            }
            Self::Money(held, there) => {
                let money = value.and_then(|value| value.as_str()?.parse::<Money>().ok());
                there.push(money.is_some().into());
                // Atto-dollars are the decimal's own unit; the format has the highest byte first.
                held.extend(money.map(|money| FixedLenByteArray::from(money.atto().to_be_bytes().to_vec())));
                16
            }
        }
    }

    /// Writes the column of a group, and lets go of it.
    fn write<W: Write + Send>(&mut self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<(), ParquetError> {
        let ended = || ParquetError::General("the group has fewer columns than the rows".to_owned());
        let mut column = group.next_column()?.ok_or_else(ended)?;
        match self {
            Self::Texts(held, there) => {
                column.typed::<ByteArrayType>().write_batch(held, Some(there), None)?;
                (*held, *there) = (Vec::new(), Vec::new());
            }
            Self::Numbers(held, there) => {
                column.typed::<Int64Type>().write_batch(held, Some(there), None)?;
                (*held, *there) = (Vec::new(), Vec::new());
            }
            Self::Money(held, there) => {
                column.typed::<FixedLenByteArrayType>().write_batch(held, Some(there), None)?;
                (*held, *there) = (Vec::new(), Vec::new());
            }
        }
        column.close()
    }
}

/// A fault of the format is one of this program, not of the store.
pub(super) fn failed(error: ParquetError) -> tachograph_store::StoreError {
    tachograph_store::StoreError::Failed(io::Error::other(error).to_string())
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;
    use serde_json::json;

    use super::super::columns;
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_and_money_to_the_last_digit() {
        let mut file = ParquetFile::new(columns(true)).unwrap();
        let mut bytes = file.written().to_vec();
        for at in 0..25_000 {
            let row = json!({ "id": format!("row {at}"), "model": "gpt-4o", "timing": { "received_at": 1_795_000_000_000_000_i64 + at, "end_us": 7 },
                "cost": { "status": "priced", "total": "0.000000000000000255" }, "usage": { "input_tokens": at },
                "properties": { "team": "blue" }, "request": { "text": "héllo" } });
            file.push(&row).unwrap();
            bytes.extend_from_slice(&file.written());
        }
        assert!(bytes.len() > 1_000, "row groups leave as they are full");
        bytes.extend_from_slice(&file.finish().unwrap());
        let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
        assert_eq!((reader.metadata().file_metadata().num_rows(), reader.num_row_groups()), (25_000, 3));
        let schema = reader.metadata().file_metadata().schema_descr();
        let at = |name: &str| schema.columns().iter().position(|column| column.name() == name).unwrap();
        let row = reader.get_row_iter(None).unwrap().nth(24_999).unwrap().unwrap();
        assert_eq!(row.get_string(at("id")).unwrap(), "row 24999");
        assert_eq!(row.get_string(at("request")).unwrap(), "héllo");
        assert_eq!(row.get_timestamp_micros(at("received_at_us")).unwrap(), 1_795_000_000_024_999);
        assert_eq!(row.get_long(at("input_tokens")).unwrap(), 24_999);
        let cost = row.get_decimal(at("cost_usd")).unwrap();
        assert_eq!((cost.scale(), i128::from_be_bytes(cost.data().try_into().unwrap())), (18, 255));
        assert!(row.get_string(at("user")).is_err(), "what is not there is null");
    }
}
